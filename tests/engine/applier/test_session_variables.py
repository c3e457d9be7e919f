"""Every session variable of every covered server is decided about: told by the event, set, or without influence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.sqlbuilder.session_variables import LOGGED_VARIABLES, UNLOGGED_VARIABLES

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer

pytestmark = pytest.mark.every_release

# Reviewed, and tried with statements of every kind: no definition and no value of a row depends on them. Limits and
# timeouts end a statement with an error. `default_table_encryption`, `innodb_default_encryption_key_id` and the
# levels of compression are about how a secondary keeps its data. Stopwords decide what a FULLTEXT index finds. The
# columns of CREATE TABLE … SELECT are logged as they became. `old_alter_table` is another name of `alter_algorithm`,
# `storage_engine` of `default_storage_engine`. What changes the answers of the catalog is set where sessions are
# opened.
WITHOUT_INFLUENCE = frozenset(
    """
    analyze_max_length analyze_sample_percentage aria_repair_threads aria_sort_buffer_size aria_stats_method
    autocommit big_tables binlog_alter_two_phase binlog_annotate_row_events binlog_direct_non_transactional_updates
    binlog_format binlog_row_image binlog_row_value_options binlog_rows_query_log_events
    binlog_transaction_compression binlog_transaction_compression_level_zstd bulk_insert_buffer_size
    character_set_database character_set_filesystem character_set_results collation_database
    column_compression_threshold column_compression_zlib_level column_compression_zlib_strategy
    column_compression_zlib_wrap completion_type connection_memory_chunk_size connection_memory_limit
    cte_max_recursion_depth deadlock_search_depth_long deadlock_search_depth_short deadlock_timeout_long
    deadlock_timeout_short default_master_connection default_table_encryption default_tmp_storage_engine
    enable_cascade_triggers enable_secondary_engine_statistics end_markers_in_json eq_range_index_dive_limit
    error_count expensive_subquery_limit explain_format explain_json_format_version
    external_table_secondary_storage_engine external_table_storage_engine external_user
    generated_random_password_length global_connection_memory_tracking group_concat_max_len
    group_replication_consistency gtid_domain_id gtid_next gtid_owned gtid_seq_no histogram_generation_max_mem_size
    histogram_size histogram_type identity idle_readonly_transaction_timeout idle_transaction_timeout
    idle_write_transaction_timeout immediate_server_version in_predicate_conversion_threshold in_transaction
    information_schema_stats_expiry innodb_ddl_buffer_size innodb_ddl_threads innodb_default_encryption_key_id
    innodb_ft_enable_stopword innodb_ft_user_stopword_table innodb_lock_wait_timeout innodb_parallel_read_threads
    innodb_snapshot_isolation innodb_table_locks innodb_tmpdir insert_id interactive_timeout
    internal_tmp_mem_storage_engine join_buffer_size join_buffer_space_limit join_cache_level keep_files_on_create
    last_gtid last_insert_id lc_messages lock_wait_timeout log_disabled_statements log_queries_not_using_indexes
    log_slow_admin_statements log_slow_always_query_time log_slow_disabled_statements log_slow_filter
    log_slow_max_warnings log_slow_min_examined_row_limit log_slow_query log_slow_query_time log_slow_rate_limit
    log_slow_slave_statements log_slow_verbosity log_warnings long_query_time low_priority_updates
    max_allowed_packet max_delayed_threads max_error_count max_execution_time max_heap_table_size
    max_insert_delayed_threads max_join_size max_length_for_sort_data max_points_in_geometry
    max_recursive_iterations max_relay_log_size max_rowid_filter_size max_seeks_for_key max_session_mem_used
    max_sort_length max_sp_recursion_depth max_statement_time max_tmp_session_space_usage max_tmp_tables
    max_user_connections mhnsw_ef_search min_examined_row_limit mrr_buffer_size myisam_repair_threads
    myisam_sort_buffer_size myisam_stats_method net_buffer_length net_read_timeout net_retry_count net_write_timeout
    new_mode note_verbosity old old_alter_table old_passwords optimizer_adjust_secondary_key_costs
    optimizer_extra_pruning_depth optimizer_join_limit_pref_ratio optimizer_max_sel_arg_weight
    optimizer_max_sel_args optimizer_max_subgraph_pairs optimizer_prune_level optimizer_scan_setup_cost
    optimizer_search_depth optimizer_selectivity_sampling_limit optimizer_switch optimizer_trace
    optimizer_trace_features optimizer_trace_limit optimizer_trace_max_mem_size optimizer_trace_offset
    optimizer_use_condition_selectivity optimizer_where_cost original_commit_timestamp original_server_version
    parser_max_mem_size preload_buffer_size print_identified_with_as_hex profiling profiling_history_size
    progress_report_time proxy_user pseudo_replica_mode pseudo_slave_mode pseudo_thread_id query_alloc_block_size
    query_cache_strip_comments query_cache_type query_cache_wlock_invalidate query_prealloc_size rand_seed1
    rand_seed2 range_alloc_block_size range_optimizer_max_mem_size rbr_exec_mode read_buffer_size
    read_rnd_buffer_size redirect_url require_row_format resultset_metadata rowid_merge_buff_size
    secondary_engine_cost_threshold select_into_buffer_size select_into_disk_sync select_into_disk_sync_delay
    server_id session_track_gtids session_track_schema session_track_state_change session_track_system_variables
    session_track_transaction_info set_operations_buffer_size show_create_table_skip_secondary_engine
    show_create_table_verbosity show_gipk_in_create_table_and_information_schema skip_parallel_replication
    skip_replication slow_query_log sort_buffer_size sql_big_selects sql_buffer_result sql_log_bin sql_log_off
    sql_notes sql_quote_show_create sql_safe_updates sql_select_limit sql_slave_skip_counter sql_warnings
    standard_compliant_cte statement_id storage_engine system_versioning_asof system_versioning_insert_history
    tcp_nodelay terminology_use_previous thread_pool_priority tmp_disk_table_size tmp_memory_table_size
    tmp_table_size transaction_alloc_block_size transaction_allow_batching transaction_isolation
    transaction_prealloc_size transaction_read_only tx_isolation tx_read_only updatable_views_with_limit
    use_secondary_engine use_stat_tables wait_timeout warning_count windowing_use_high_precision wsrep_causal_reads
    wsrep_dirty_reads wsrep_gtid_seq_no wsrep_on wsrep_osu_method wsrep_retry_autocommit wsrep_sync_wait
    wsrep_trx_fragment_size wsrep_trx_fragment_unit xa_detach_on_prepare
    """.split()  # noqa: SIM905 - a line of its own for each of 250 names is no easier to read
)


def test_no_session_variable_is_undecided(primary: SandboxServer) -> None:
    with primary.session() as session:
        if session.is_mariadb:
            asked = "SELECT variable_name FROM information_schema.system_variables WHERE variable_scope <> 'GLOBAL'"
        else:
            asked = "SELECT variable_name FROM performance_schema.variables_metadata WHERE variable_scope <> 'GLOBAL'"
        found = {str(name).lower() for (name,) in session.rows(asked)}
    assert len(found) > 100
    assert found - LOGGED_VARIABLES - UNLOGGED_VARIABLES.keys() - WITHOUT_INFLUENCE == set()


def test_no_variable_is_decided_twice() -> None:
    assert not LOGGED_VARIABLES & UNLOGGED_VARIABLES.keys()
    assert not WITHOUT_INFLUENCE & (LOGGED_VARIABLES | UNLOGGED_VARIABLES.keys())
