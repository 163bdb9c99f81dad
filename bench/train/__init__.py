"""Training: the loop, the engines that execute a step, and several seeds trained as one."""

from bench.called import also_called

also_called(__name__)
