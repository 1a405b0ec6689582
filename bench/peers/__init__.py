"""What we compare with, each driven as its own plugin drives it. One adapter per peer; all implement `bench.drive.Tool`."""
