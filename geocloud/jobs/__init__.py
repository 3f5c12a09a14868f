# SPDX-License-Identifier: Apache-2.0
"""Long work (作业): what a process is, the queue of jobs in the database, the workers that carry them out."""
