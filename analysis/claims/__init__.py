"""Whether claims about a service are true: judged by the intervals of what was measured."""
