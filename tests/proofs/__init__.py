"""The long claims, each run for real; a proof that passes writes its page into docs/proofs."""
