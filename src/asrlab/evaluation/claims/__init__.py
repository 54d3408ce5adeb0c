"""Claims in documents, and the records that back them."""
