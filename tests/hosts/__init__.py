"""Machines that run on snapshotted disks."""
