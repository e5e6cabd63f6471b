"""Which value of a setting to serve with: what is measured for it, and what that says."""
