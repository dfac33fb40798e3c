# SPDX-License-Identifier: Apache-2.0
"""Tiny random models of every architecture, written with the standard library only."""
