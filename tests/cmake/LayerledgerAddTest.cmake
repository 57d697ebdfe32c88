# layerledger_add_test(NAME SOURCES file... LINK room... [LABEL unit] [RANKS 1 2 4] [TIMEOUT s])
#
# One GoogleTest binary. Without RANKS it runs alone; with RANKS it runs under mpirun once for each
# count, through tests/support/mpi_main.cpp, which makes one verdict of all ranks' failures.
# Every test has a timeout.
function(layerledger_add_test name)
    cmake_parse_arguments(TEST "" "LABEL;TIMEOUT" "SOURCES;LINK;RANKS" ${ARGN})
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 120)
    endif()
    add_executable(${name} ${TEST_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${TEST_LINK} GTest::gmock layerledger_warnings)
    if(TEST_RANKS)
        target_link_libraries(${name} PRIVATE layerledger_mpi_main)
        foreach(ranks IN LISTS TEST_RANKS)
            add_test(NAME ${name}.np${ranks}
                     COMMAND ${LAYERLEDGER_MPIRUN} -n ${ranks} $<TARGET_FILE:${name}>)
            set_tests_properties(${name}.np${ranks} PROPERTIES
                LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT} PROCESSORS ${ranks}
                ENVIRONMENT "${LAYERLEDGER_MPI_TEST_ENVIRONMENT}")
        endforeach()
    else()
        target_link_libraries(${name} PRIVATE GTest::gtest_main)
        add_test(NAME ${name} COMMAND ${name})
        set_tests_properties(${name} PROPERTIES
            LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT}
            ENVIRONMENT "${LAYERLEDGER_TEST_ENVIRONMENT}")
    endif()
endfunction()
