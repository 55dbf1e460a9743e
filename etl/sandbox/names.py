"""Words of the simulated world: company, campaign, site and block names, phone prefixes, time zones."""

from __future__ import annotations

from random import Random

COMPANIES = (
    "Acme", "Ромашка", "Café Zoë", "Стоматология «Улыбка»", "Северный ветер", "Gulf Motors", "Иванов и сыновья",
    "Ångström Labs", "ООО «Вектор»", "Baker & Daughters", "متجر الخليج", "Окна Плюс", "東京 Travel", "Nut & Bolt",
)  # fmt: skip
TIMEZONES = (
    "Europe/Moscow", "Europe/London", "Asia/Dubai", "Asia/Yekaterinburg", "Europe/Madrid", "Asia/Vladivostok",
    "Europe/Kaliningrad", "America/New_York", "Asia/Kolkata",
)  # fmt: skip
CHANNELS = (
    "Яндекс.Директ", "Google Ads", "VK Реклама", "Avito", "Offline: билборд", "Radio", "E-mail", "2ГИС", "SEO",
    "Партнёры", "Прямые заходы", "Café flyers", "Telegram Ads", "Листовки у метро",
)  # fmt: skip
THEMES = ("бренд", "search", "ретаргетинг", "spring sale", "Москва", "Санкт-Петербург", "Dubai", "видео", "B2B", "ночь")
SITE_WORDS = ("shop", "clinic", "okna", "motors", "travel", "remont", "stroy", "fitness", "edu", "кафе", "доставка")
SITE_ZONES = ("ru", "com", "рф", "ae", "co.uk", "online")
BLOCKS = ("Шапка сайта", "Header", "Футер", "Контакты", "Landing", "Всплывающее окно", "Карточка товара", "Mobile")
SCENARIOS = ("Отдел продаж", "Support", "Голосовое меню", "Ночной режим", "Секретарь", "Reception", "Автоответчик")
COMMENTS = (
    "Передан в отдел маркетинга", "test number", "не отключать!", "Звонить после 10:00", "moved from the old PBX",
    "Договор № 17/2", "", "VIP — «золотой» клиент", "резерв",
)  # fmt: skip
LABELS = ("Офис", "Склад", "Main line", "Горячая линия", "Hotline", "Сервис", "Marketing 1", "Филиал №2")
AREAS = ("7495", "7499", "7812", "7343", "4420", "9714", "1212", "3491")
TOLL_FREE = "7800"


def company(rng: Random) -> str:
    """A customer's name."""
    return f"{rng.choice(COMPANIES)} {rng.randrange(100, 1000)}"


def campaign(rng: Random, number: int) -> str:
    """An advertising campaign's name; `number` makes it unique for a customer."""
    return f"{rng.choice(CHANNELS)} — {rng.choice(THEMES)} {number}"


def domain(rng: Random, number: int) -> str:
    """A site's address without protocol."""
    return f"{rng.choice(SITE_WORDS)}-{number}.{rng.choice(SITE_ZONES)}"


def block(rng: Random, number: int) -> str:
    """A site block's name."""
    return f"{rng.choice(BLOCKS)} {number}"


def scenario(rng: Random, number: int) -> str:
    """A call scenario's name."""
    return f"{rng.choice(SCENARIOS)} {number}"


def other(rng: Random, old: object, draw: tuple[str, ...]) -> str:
    """A word of `draw` that differs from `old`."""
    return rng.choice([word for word in draw if word != old])
