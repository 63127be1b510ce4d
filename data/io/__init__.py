"""Folders, locks and other files on local disks and in S3 buckets."""
