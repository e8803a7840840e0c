"""What people use besides the daemon: replay, simulation, verification, reports and more."""
