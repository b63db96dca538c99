"""`make torture`: backfire is killed, starved, lied to and fed garbage, and what came of it is counted (docs/reliability.md)."""
