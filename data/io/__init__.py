"""Folders, locks and files on local disks and in S3 buckets."""
