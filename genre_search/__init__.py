"""The console command ``genre-search``; it stands above the other packages, and none of them imports it."""
