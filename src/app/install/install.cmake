# The install tree: `cmake --install BUILD --prefix DIR --strip` makes a folder that runs wherever it is
# put, on any Linux whose C library is not older than this machine's. Beside the programs it holds
# every library that they load, Open MPI's plugins and its mpirun; only the C library and what belongs
# to a GPU (CUDA, cuDNN, NCCL, the driver) are the other machine's. More than half of it is oneDNN, with
# machine code for every processor and operation; `cmake --build BUILD --target package` packs it all to
# less than a third, to be carried.

# The programs are started by a script of the same name in bin/, which tells Open MPI where it is now.
function(layerledger_install_program target)
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/../../lib")
    # An RPATH, unlike the linker's default, also serves the libraries that libraries need.
    target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
    install(TARGETS ${target} RUNTIME DESTINATION libexec/layerledger)
    install(PROGRAMS ${PROJECT_SOURCE_DIR}/src/app/install/start DESTINATION bin RENAME ${target})
    set_property(GLOBAL APPEND PROPERTY LAYERLEDGER_INSTALLED "$<TARGET_FILE:${target}>")
endfunction()

# Called once, after all programs.
function(layerledger_install_runtime)
    get_property(programs GLOBAL PROPERTY LAYERLEDGER_INSTALLED)
    find_package(MPI REQUIRED COMPONENTS C)
    get_filename_component(mpi_folder "${MPIEXEC_EXECUTABLE}" DIRECTORY)
    find_program(LAYERLEDGER_OMPI_INFO ompi_info HINTS ${mpi_folder})
    install(CODE "set(programs \"${programs}\")
set(mpirun \"${MPIEXEC_EXECUTABLE}\")
set(ompi_info \"${LAYERLEDGER_OMPI_INFO}\")
set(start \"${PROJECT_SOURCE_DIR}/src/app/install/start\")")
    install(SCRIPT ${PROJECT_SOURCE_DIR}/src/app/install/copy_runtime.cmake)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs DESTINATION share/layerledger)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/analysis DESTINATION share/layerledger
            PATTERN __pycache__ EXCLUDE)
    install(PROGRAMS ${PROJECT_SOURCE_DIR}/tests/gpu/run DESTINATION share/layerledger/tests/gpu)
    install(FILES ${PROJECT_SOURCE_DIR}/tests/gpu/bad_input.py ${PROJECT_SOURCE_DIR}/tests/gpu/tables.py
            DESTINATION share/layerledger/tests/gpu)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/tests/bench DESTINATION share/layerledger/tests
            FILES_MATCHING PATTERN *.py)
    install(FILES ${PROJECT_SOURCE_DIR}/tests/support/write_digits.py
            DESTINATION share/layerledger/tests/support)
    install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/layerledger)

    set(CPACK_GENERATOR TGZ)  # what every machine unpacks
    set(CPACK_STRIP_FILES ON)
    set(CPACK_PACKAGE_FILE_NAME
        "${PROJECT_NAME}-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")
    set(CPACK_VERBATIM_VARIABLES ON)
    include(CPack)
endfunction()
