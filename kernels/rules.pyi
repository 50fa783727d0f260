TABLE: dict[str, object]
