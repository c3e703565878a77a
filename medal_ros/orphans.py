"""No process outlives who started it, however that one dies."""

from __future__ import annotations

# The words before a command; util-linux has them. In Python a `preexec_fn` would do it, but runs
# between fork and exec, where a lock that another thread held then, ROS has many, stays locked.
ENDS_WITH_PARENT = ('setpriv', '--pdeathsig', 'INT', '--')
