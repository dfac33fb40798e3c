# SPDX-License-Identifier: Apache-2.0
"""What is measured against: transformers on the same weights. Needs the packages that make-goldens pins."""
