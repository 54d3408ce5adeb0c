"""Where weights come from: a folder, installed carrier packages, the Hugging Face hub, an address."""

from asrlab.weights.sources.base import Fetched, FolderSource, Progress, WeightsSource
from asrlab.weights.sources.carrier import CarrierSource
from asrlab.weights.sources.hub import HubSource
from asrlab.weights.sources.url import UrlSource

__all__ = ["CarrierSource", "Fetched", "FolderSource", "HubSource", "Progress", "UrlSource", "WeightsSource"]
