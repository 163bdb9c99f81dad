"""Training: the loop, the engines that execute a step, and several seeds trained as one."""
