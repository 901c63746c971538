# SPDX-License-Identifier: GPL-2.0
"""Programs of this folder as modules, for their tests: they have no .py."""

import importlib.machinery
import importlib.util
import os

HERE = os.path.dirname(os.path.realpath(__file__))


def load(name):
    """The program as a module; it does not run as if it were the main one."""
    loader = importlib.machinery.SourceFileLoader(
        name, os.path.join(HERE, name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
