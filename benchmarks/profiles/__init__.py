"""CPU stacks and allocations of a running service, by py-spy and memray."""
