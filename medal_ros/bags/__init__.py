"""Recordings of a graph's topics, as rosbag2 keeps them: MCAP files and their metadata.yaml."""
