"""The network edge: what the vendor's Data API is asked, and how far its answers are believed."""
