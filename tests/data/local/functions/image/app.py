"""Stands for a function that is an image on AWS, with packages that the zip functions don't have."""


def handler(_event, _context):
    import git
    from sample import word

    return {"git": git.__version__, "word": word.WORD}
