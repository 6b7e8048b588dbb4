"""Examples of what Terrarium manages."""
