"""Demonstrations at the command line: recorded, looked into, replayed, exchanged. No ROS import."""
