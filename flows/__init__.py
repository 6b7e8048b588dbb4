"""One file per pipeline: observe, decide, act, verify, record. No policy and no class lives here."""
