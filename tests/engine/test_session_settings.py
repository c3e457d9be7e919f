"""The variables that a session of `replica` sets: servers accept them from a user without privileges."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Network, Secret
from replica_cli.mysql.session import connect
from replica_cli.mysql.session_settings import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import Server
    from replica_cli.sandbox.server import SandboxServer

pytestmark = pytest.mark.every_release

PASSWORD = "A-long-enough-1"


@pytest.fixture
def unprivileged_user(primary: SandboxServer) -> Iterator[Server]:
    """Give the address of a user who may log in and no more."""
    with primary.session() as session:
        session.execute(f"CREATE USER unprivileged@'%' IDENTIFIED BY '{PASSWORD}'")
    yield replace(primary.address(), user="unprivileged", password=Secret(PASSWORD))
    with primary.session() as session:
        session.execute("DROP USER unprivileged@'%'")


def test_every_setting_is_taken_from_a_user_without_privileges_and_holds(unprivileged_user: Server) -> None:
    with connect(unprivileged_user, Network()) as session:
        settings = settings_for(session.version_text)
        found = {str(n).lower(): str(v) for n, v in session.rows("SHOW SESSION VARIABLES")}
        words = {"ON": "1", "OFF": "0", "NO_CHAIN": "0"}
        wanted = {name: value.strip("'") for name, value in settings}
        differ = {
            name: found[name]
            for name, value in wanted.items()
            if value != words.get(found[name], found[name].removesuffix(".000000")) and name != "sql_mode"
        }
        assert differ == {}
        assert set(found["sql_mode"].split(",")) == set(wanted["sql_mode"].split(","))
        assert session.row("SELECT @@warning_count") == (0,)


# Session variables that `replica` does not set, by the reason. A variable of a new release has to be decided about.
REVIEWED = {
    "how much memory, which plan, how fast; never which rows": """
        analyze_max_length analyze_sample_percentage aria_repair_threads aria_sort_buffer_size aria_stats_method
        big_tables bulk_insert_buffer_size connection_memory_chunk_size connection_memory_limit
        deadlock_search_depth_long deadlock_search_depth_short deadlock_timeout_long deadlock_timeout_short
        enable_secondary_engine_statistics eq_range_index_dive_limit expensive_subquery_limit
        global_connection_memory_tracking histogram_generation_max_mem_size histogram_size histogram_type
        in_predicate_conversion_threshold innodb_ddl_buffer_size innodb_ddl_threads innodb_parallel_read_threads
        innodb_tmpdir internal_tmp_mem_storage_engine join_buffer_size join_buffer_space_limit join_cache_level
        keep_files_on_create low_priority_updates max_delayed_threads max_heap_table_size max_insert_delayed_threads
        max_length_for_sort_data max_relay_log_size max_rowid_filter_size max_seeks_for_key
        max_tmp_session_space_usage max_tmp_tables mrr_buffer_size myisam_repair_threads myisam_sort_buffer_size
        myisam_stats_method net_buffer_length net_retry_count new_mode optimizer_adjust_secondary_key_costs
        optimizer_extra_pruning_depth optimizer_join_limit_pref_ratio optimizer_max_sel_arg_weight
        optimizer_max_sel_args optimizer_max_subgraph_pairs optimizer_prune_level optimizer_scan_setup_cost
        optimizer_search_depth optimizer_selectivity_sampling_limit optimizer_switch
        optimizer_use_condition_selectivity optimizer_where_cost parser_max_mem_size preload_buffer_size
        query_alloc_block_size query_cache_strip_comments query_cache_wlock_invalidate query_prealloc_size
        range_alloc_block_size range_optimizer_max_mem_size read_buffer_size read_rnd_buffer_size
        rowid_merge_buff_size secondary_engine_cost_threshold select_into_buffer_size select_into_disk_sync
        select_into_disk_sync_delay set_operations_buffer_size sort_buffer_size sql_buffer_result tcp_nodelay
        thread_pool_priority tmp_disk_table_size tmp_memory_table_size tmp_table_size transaction_alloc_block_size
        transaction_allow_batching transaction_prealloc_size use_secondary_engine use_stat_tables
        xa_detach_on_prepare""",
    "diagnostics: traces, slow logs, counters, texts of errors": """
        end_markers_in_json error_count explain_format explain_json_format_version lc_messages
        log_disabled_statements log_queries_not_using_indexes log_slow_admin_statements log_slow_always_query_time
        log_slow_disabled_statements log_slow_filter log_slow_max_warnings log_slow_min_examined_row_limit
        log_slow_query log_slow_query_time log_slow_rate_limit log_slow_slave_statements log_slow_verbosity
        log_warnings long_query_time max_error_count min_examined_row_limit note_verbosity optimizer_trace
        optimizer_trace_features optimizer_trace_limit optimizer_trace_max_mem_size optimizer_trace_offset
        print_identified_with_as_hex profiling profiling_history_size progress_report_time resultset_metadata
        session_track_gtids session_track_schema session_track_state_change session_track_system_variables
        session_track_transaction_info slow_query_log sql_log_off sql_warnings terminology_use_previous
        warning_count""",
    "set by SET NAMES, which the driver sends first": """
        character_set_client character_set_connection character_set_results collation_connection""",
    "nothing that we send uses it": """
        auto_increment_increment auto_increment_offset block_encryption_mode character_set_filesystem
        cte_max_recursion_depth default_master_connection default_regex_flags external_user
        generated_random_password_length group_concat_max_len identity innodb_table_locks insert_id
        interactive_timeout last_gtid last_insert_id max_points_in_geometry max_recursive_iterations
        max_sp_recursion_depth max_user_connections mhnsw_ef_search old old_passwords proxy_user pseudo_replica_mode
        pseudo_slave_mode pseudo_thread_id rand_seed1 rand_seed2 rbr_exec_mode redirect_url require_row_format
        server_id sql_slave_skip_counter standard_compliant_cte statement_id system_versioning_asof
        system_versioning_insert_history updatable_views_with_limit windowing_use_high_precision""",
    "of a transaction's own, or of one node of a cluster: an application's default is the right one": """
        group_replication_consistency gtid_domain_id gtid_next gtid_owned gtid_seq_no immediate_server_version
        in_transaction innodb_snapshot_isolation original_commit_timestamp original_server_version
        skip_parallel_replication skip_replication timestamp wsrep_causal_reads wsrep_dirty_reads wsrep_gtid_seq_no
        wsrep_on wsrep_osu_method wsrep_retry_autocommit wsrep_sync_wait wsrep_trx_fragment_size
        wsrep_trx_fragment_unit""",
    "what the secondary's own log holds: a privilege, and its replicas' business": """
        binlog_alter_two_phase binlog_annotate_row_events binlog_direct_non_transactional_updates binlog_format
        binlog_row_image binlog_row_value_options binlog_rows_query_log_events binlog_transaction_compression
        binlog_transaction_compression_level_zstd max_allowed_packet sql_log_bin""",
    "what a definition becomes: the session that makes tables sets or checks it": """
        character_set_database character_set_server collation_database collation_server column_compression_threshold
        column_compression_zlib_level column_compression_zlib_strategy column_compression_zlib_wrap
        default_collation_for_utf8mb4 default_storage_engine default_table_encryption default_tmp_storage_engine
        enable_cascade_triggers enforce_storage_engine explicit_defaults_for_timestamp
        external_table_secondary_storage_engine external_table_storage_engine innodb_compression_default
        innodb_default_encryption_key_id innodb_ft_enable_stopword innodb_ft_user_stopword_table innodb_strict_mode
        mhnsw_default_distance mhnsw_default_m old_alter_table restrict_fk_on_non_standard_key
        sql_generate_invisible_primary_key sql_if_exists sql_require_primary_key storage_engine
        system_versioning_alter_history""",
    "what a stored generated column becomes: decided table by table": """
        default_week_format div_precision_increment lc_time_names""",
    "another name of one that is set": "tx_isolation tx_read_only",
}
SCOPES = {
    True: "SELECT LOWER(variable_name) FROM information_schema.system_variables WHERE variable_scope <> 'GLOBAL'",
    False: "SELECT LOWER(variable_name) FROM performance_schema.variables_metadata WHERE variable_scope <> 'GLOBAL'",
}


def test_every_session_variable_is_set_or_was_looked_at(primary: SandboxServer) -> None:
    with primary.session() as session:
        there = {str(name) for (name,) in session.rows(SCOPES[session.is_mariadb])}
        set_names = {name for name, _ in settings_for(session.version_text)}
    reviewed = {name for names in REVIEWED.values() for name in names.split()}
    assert there
    assert there - set_names - reviewed == set()
