"""Putting saved policies to the test: which trials, what came out, what it says. No ROS import."""
