"""What the workspace's memory adds: lines that later commits added, and lines at random, with and without it. See `command`."""
