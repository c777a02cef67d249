"""Git LFS on S3: a function answers with presigned addresses, the bytes go straight between the user and S3.

Wire: https://github.com/git-lfs/git-lfs/tree/main/docs/api
"""
