"""Huawei Cloud's ModelArts: Ascend machines. See `backend.py` for how a run gets there and back."""
