"""The preparation of a cache: planning, parallel analysis, merging."""
