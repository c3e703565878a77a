"""The browser console: one page that shows and steers a running graph.

Everything here but the node, `nodes/console.py`, is free of ROS.
"""
