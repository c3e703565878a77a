"""Every method on every task of the benchmark, and the page that compares them. No ROS import."""
