"""What a receiver takes along to know that news is ours: one file, and where it is fetched."""
