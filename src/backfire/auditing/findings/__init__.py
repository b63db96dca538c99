"""What an audit finds in the pairs: one module and one answer each."""
