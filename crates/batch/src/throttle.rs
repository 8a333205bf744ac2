//! [`Throttle`]: admission by the pressure on the machine.
