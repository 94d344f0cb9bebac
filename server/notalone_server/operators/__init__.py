"""What operators write before a service runs: rules of a scope, keys of a desk. Refuses to run anything."""
