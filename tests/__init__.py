"""Tests, by what they need to be real: unit, integration, flows, e2e; bench and proofs run on their own."""
