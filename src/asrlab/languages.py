"""Language tags, from the spellings of data sets and users."""

from __future__ import annotations

import re

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
_REMARK = re.compile(r"\s*\([^()]*\)$|[.@][A-Za-z0-9-]+$")  # "English (US)", "en_US.UTF-8"
_MAX_CHARACTERS = 100  # of a name; the patterns take the square of their length
_NO_LANGUAGE = frozenset({"mis", "mul", "und", "zxx"})  # ISO 639: uncoded, several, unknown, none

_HAN_AND_KANA_RANGES = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_SOUTHEAST_ASIAN_RANGES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
HAN_OR_KANA = re.compile(f"[{_HAN_AND_KANA_RANGES}]")  # each counts as one word
SOUTHEAST_ASIAN = re.compile(f"[{_SOUTHEAST_ASIAN_RANGES}]")
"""A character of the Thai, Lao, Myanmar or Khmer script, written without spaces between words."""
UNSPACED = re.compile(f"[{_HAN_AND_KANA_RANGES}{_SOUTHEAST_ASIAN_RANGES}]")  # any script without spaces between words
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages written without spaces between words. Source: openai-whisper, tokenizer.py, ``split_to_word_tokens``."""

# By BCP 47 tag: codes of ISO 639-2 and 639-3, codes that are no longer in use, and English names ("_" is a space).
_OTHER_NAMES = {
    "af": "afr afrikaans", "am": "amh amharic", "ar": "ara arb arabic", "as": "asm assamese",
    "az": "aze azj azerbaijani", "ba": "bak bashkir", "be": "bel belarusian", "bg": "bul bulgarian",
    "bn": "ben bengali bangla", "bo": "bod tib tibetan", "br": "bre breton", "bs": "bos bosnian",
    "ca": "cat catalan valencian", "cs": "ces cze czech", "cy": "cym wel welsh", "da": "dan danish",
    "de": "deu ger german", "el": "ell gre greek", "en": "eng english", "es": "spa spanish castilian",
    "et": "est ekk estonian", "eu": "eus baq basque", "fa": "fas per pes persian farsi", "fi": "fin finnish",
    "fil": "filipino", "fo": "fao faroese", "fr": "fra fre french", "ga": "gle irish", "gl": "glg galician",
    "gu": "guj gujarati", "ha": "hau hausa", "haw": "hawaiian", "he": "heb iw hebrew", "hi": "hin hindi",
    "hr": "hrv croatian", "ht": "hat haitian haitian_creole", "hu": "hun hungarian", "hy": "hye arm armenian",
    "id": "ind in indonesian", "ig": "ibo igbo", "is": "isl ice icelandic", "it": "ita italian", "ja": "jpn japanese",
    "jv": "jav javanese", "ka": "kat geo georgian", "kk": "kaz kazakh", "km": "khm khmer", "kn": "kan kannada",
    "ko": "kor korean", "ky": "kir kyrgyz", "la": "lat latin", "lb": "ltz luxembourgish", "lg": "lug ganda luganda",
    "ln": "lin lingala", "lo": "lao", "lt": "lit lithuanian", "lv": "lav lvs latvian", "mg": "mlg plt malagasy",
    "mi": "mri mao maori", "mk": "mkd mac macedonian", "ml": "mal malayalam", "mn": "mon khk mongolian",
    "mr": "mar marathi", "ms": "msa may zsm malay", "mt": "mlt maltese", "my": "mya bur burmese myanmar",
    "nb": "nob norwegian_bokmål", "ne": "nep npi nepali", "nl": "nld dut dutch flemish",
    "nn": "nno nynorsk norwegian_nynorsk", "no": "nor norwegian", "oc": "oci occitan", "or": "ori ory odia oriya",
    "pa": "pan punjabi panjabi", "pl": "pol polish", "ps": "pus pbt pashto", "pt": "por portuguese",
    "ro": "ron rum romanian moldavian moldovan", "ru": "rus russian", "rw": "kin kinyarwanda", "sa": "san sanskrit",
    "sd": "snd sindhi", "si": "sin sinhala sinhalese", "sk": "slk slo slovak", "sl": "slv slovenian slovene",
    "sn": "sna shona", "so": "som somali", "sq": "sqi alb als albanian", "sr": "srp serbian", "su": "sun sundanese",
    "sv": "swe swedish", "sw": "swa swh swahili", "ta": "tam tamil", "te": "tel telugu", "tg": "tgk tajik",
    "th": "tha thai", "tk": "tuk turkmen", "tl": "tgl tagalog", "tr": "tur turkish", "tt": "tat tatar",
    "ug": "uig uyghur", "uk": "ukr ukrainian", "ur": "urd urdu", "uz": "uzb uzn uzbek", "vi": "vie vietnamese",
    "wo": "wol wolof", "xh": "xho xhosa", "yi": "yid ydd ji yiddish", "yo": "yor yoruba", "yue": "cantonese",
    "zh": "zho chi cmn chinese mandarin mandarin_chinese", "zu": "zul zulu",
}  # fmt: skip
_TAG_OF = {name.replace("_", " "): tag for tag, names in _OTHER_NAMES.items() for name in names.split()}


def language_tag(named: str | None) -> str | None:
    """Return the BCP 47 tag of a language, or None if it is not known.

    Args:
        named: A tag with ``-`` or ``_`` in any case, a code of ISO 639-2 or 639-3, or an English name: ``en_US`` and
            ``en-us`` are ``en-US``, and ``eng`` and ``English`` are ``en``.
    """
    if named is None or len(named) > _MAX_CHARACTERS:
        return None
    name = _REMARK.sub("", named.strip())
    if (known := _TAG_OF.get(name.lower())) is not None:
        return known
    if not _TAG.fullmatch(name):
        return None
    first, *others = re.split("[-_]", name.lower())
    if first in _NO_LANGUAGE:
        return None
    return "-".join([_TAG_OF.get(first, first), *map(_subtag, others)])


def primary_language(named: str | None) -> str | None:
    """Return the language without region and script, such as ``pt`` for ``pt-BR``; see `language_tag`."""
    tag = language_tag(named)
    return tag and tag.partition("-")[0]


def is_english(named: str | None) -> bool:
    """Return whether a language is English, of any region; see `language_tag`."""
    return primary_language(named) == "en"


def _subtag(part: str) -> str:
    """Return a subtag in the case that BCP 47 recommends: scripts in title case, regions in upper case."""
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 else part
