"""The functions that custom SQL may call. Pure data.

Deliberately missing: functions that read files, settings or catalogs, run SQL (``query_to_xml``, ``ts_stat``), move
sequences, take locks, signal other processes, or sleep.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CALLABLE_KEYWORDS", "FUNCTIONS"]

_KEYWORDS: Final = """
all and any array as between bit bpchar by case cast char character conflict cube dec decimal distinct else end escape
except exists extract filter float from full group grouping having ilike in inner intersect interval is join lateral
left like limit materialized national nchar not numeric of offset on or order over partition precision range returning
right rollup row rows select set sets similar some symmetric then time timestamp timestamptz timetz to union unique
using values varbit varchar varying when where within
"""

_FUNCTIONS: Final = """
abs acos acosd acosh age any_value area array_agg array_append array_cat array_dims array_fill array_length
array_lower array_ndims array_position array_positions array_prepend array_remove array_replace array_to_json
array_to_string array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh avg bernoulli
bit_and bit_count bit_length bit_or bit_xor bool_and bool_or box btrim cardinality casefold cbrt ceil ceiling center
char_length character_length chr circle clock_timestamp coalesce concat concat_ws convert_from convert_to corr cos
cosd cosh cot cotd count covar_pop covar_samp cume_dist current_time current_timestamp currval date date_add date_bin
date_part date_subtract date_trunc daterange decode degrees dense_rank diameter div encode erf erfc every exp
factorial first_value floor format gcd gen_random_uuid generate_series generate_subscripts get_bit get_byte greatest
height initcap int4range int8range isempty isfinite json_agg json_array json_array_elements json_array_elements_text
json_array_length json_arrayagg json_build_array json_build_object json_each json_each_text json_exists
json_extract_path json_extract_path_text json_object json_object_agg json_object_keys json_objectagg
json_populate_record json_populate_recordset json_query json_strip_nulls json_to_record json_to_recordset json_typeof
json_value jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object
jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lag
last_value lastval lcm lead least left length line ln localtime localtimestamp log log10 lower lower_inc lower_inf
lpad lseg ltrim make_date make_interval make_time make_timestamp make_timestamptz max md5 min min_scale mod mode
multirange normalize now npoints nth_value ntile nullif num_nonnulls num_nulls numnode numrange octet_length overlaps
overlay path percent_rank percentile_cont percentile_disc phraseto_tsquery pi plainto_tsquery point polygon position
power querytree quote_ident quote_literal quote_nullable radians radius random range_agg range_intersect_agg
range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2
regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round row_number row_to_json rpad rtrim scale
set_bit set_byte setweight sha224 sha256 sha384 sha512 sign sin sind sinh slope split_part sqrt starts_with
statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos substr
substring sum system tan tand tanh timeofday timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb
to_number to_oct to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim trim_array trim_scale trunc
ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase tsrange tstzrange tsvector_to_array unistr unnest
upper upper_inc upper_inf uuidv7 var_pop var_samp variance websearch_to_tsquery width width_bucket
"""

CALLABLE_KEYWORDS: Final = frozenset(_KEYWORDS.split())
"""Keywords and types that may be followed by brackets but are not functions."""

FUNCTIONS: Final = frozenset(_FUNCTIONS.split())
"""Functions whose results depend only on the arguments, the clock or random numbers, whatever the arguments are."""
