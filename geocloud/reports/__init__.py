# SPDX-License-Identifier: Apache-2.0
"""Reports (报告): one description of a document, written as HTML, PDF and DOCX with maps drawn here."""
