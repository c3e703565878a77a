"""The method: MEDAL++ without ROS. torch and numpy only."""
