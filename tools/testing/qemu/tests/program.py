# SPDX-License-Identifier: GPL-2.0
"""Programs of the folder above as modules, for their tests."""

import importlib.machinery
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# Where they look for modules of their own
sys.path.insert(1, HERE)


def load(name):
    """The program as a module; it does not run as if it were the main one."""
    loader = importlib.machinery.SourceFileLoader(
        name, os.path.join(HERE, name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
