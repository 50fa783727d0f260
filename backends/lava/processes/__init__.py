"""Our own Lava processes. Imports Lava, so only the child process may import from here.

Each module defines processes beside their models, because that is where Lava looks for models.
"""
