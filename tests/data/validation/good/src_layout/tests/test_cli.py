from word_vectors.cli import build_parser


def test_parser():
    assert build_parser().parse_args(['--corpus', '.'])
