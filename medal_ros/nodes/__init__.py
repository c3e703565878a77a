"""The nodes: one thin rclpy node per file."""
