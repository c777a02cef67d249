def modify_commandline_options(parser, is_train=True):
    parser.add_argument("--lambda_A", type=float, default=10.0)
    parser.add_argument("--output_path", default="checkpoints")
    return parser
